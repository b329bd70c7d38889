process GENOMICULMFIT_SCREEN {
    tag "$meta.id"
    label 'process_medium'

    conda "${moduleDir}/environment.yml"
    container "${ workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container ?
        'https://depot.galaxyproject.org/singularity/genomic-ulmfit:0.1.0--pyhdfd78af_0':
        'quay.io/biocontainers/genomic-ulmfit:0.1.0--pyhdfd78af_0' }"

    input:
    tuple val(meta), path(reads)
    path model
    path agents
    path control, stageAs: 'control/*'

    output:
    tuple val(meta), path("*/report.html"), emit: report
    tuple val(meta), path("*/screen.tsv") , emit: tsv
    tuple val(meta), path("*/screen.json"), emit: json
    tuple val(meta), path("*/*.kreport")  , emit: kreport
    tuple val("${task.process}"), val('genomic-ulmfit'), eval("genomic-ulmfit --version | sed 's/.* //'"), topic: versions, emit: versions_genomiculmfit

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def prefix = task.ext.prefix ?: "${meta.id}"
    def judge = model ?: 'bacteria-taxa'
    def sample = reads instanceof List ? reads.join(',') : reads
    def agent_list = agents ? "--agents $agents" : ''
    def blank = control instanceof List ? control.join(',') : control
    def negative = blank ? "--control control=$blank" : ''
    """
    genomic-ulmfit \\
        --threads $task.cpus \\
        screen \\
        $judge \\
        ${prefix}=$sample \\
        $agent_list \\
        $negative \\
        --out ${prefix} \\
        $args
    """

    stub:
    def prefix = task.ext.prefix ?: "${meta.id}"
    """
    mkdir ${prefix}
    touch ${prefix}/report.html
    touch ${prefix}/screen.tsv
    touch ${prefix}/screen.json
    touch ${prefix}/${prefix}.kreport
    """
}
