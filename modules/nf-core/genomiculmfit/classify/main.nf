process GENOMICULMFIT_CLASSIFY {
    tag "$meta.id"
    label 'process_medium'

    conda "${moduleDir}/environment.yml"
    container "${ workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container ?
        'https://depot.galaxyproject.org/singularity/genomic-ulmfit:0.1.0--pyhdfd78af_0':
        'quay.io/biocontainers/genomic-ulmfit:0.1.0--pyhdfd78af_0' }"

    input:
    tuple val(meta), path(reads)
    path model

    output:
    tuple val(meta), path("*.kreport"), emit: report
    tuple val(meta), path("*.json")   , emit: json
    tuple val(meta), path("*.parquet"), emit: table
    tuple val("${task.process}"), val('genomic-ulmfit'), eval("genomic-ulmfit --version | sed 's/.* //'"), topic: versions, emit: versions_genomiculmfit

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def prefix = task.ext.prefix ?: "${meta.id}"
    def judge = model ?: 'bacteria-taxa'
    """
    genomic-ulmfit \\
        --threads $task.cpus \\
        classify \\
        $judge \\
        $reads \\
        --report ${prefix}.kreport \\
        --json ${prefix}.json \\
        --table ${prefix}.parquet \\
        $args
    """

    stub:
    def prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${prefix}.kreport
    touch ${prefix}.json
    touch ${prefix}.parquet
    """
}
