from fastai.callback.tracker import EarlyStoppingCallback
from fastai.torch_core import set_seed
from genomic_ulmfit.seq.tables import read_table
from genomic_ulmfit.seq.errors import InputError
from genomic_ulmfit.seq.records import SequenceRecord, read_sequences
from genomic_ulmfit.seq.alphabet import decode_bases, encode_bases, reverse_complement
from genomic_ulmfit.text.corpus import GenomeCorpus, SAMPLE
from genomic_ulmfit.text.loaders import BatchLoader, GenomeLMDataLoaders, ReadDataLoaders
from genomic_ulmfit.text.reads import CorpusReads, LabelledReads
from genomic_ulmfit.text.windows import LMWindows
from genomic_ulmfit.text.block import SequenceBlock
from genomic_ulmfit.text.spans import Spans
from genomic_ulmfit.text.kmers import KmerTokenizer
from genomic_ulmfit.nets.awdlstm import PRESETS, Preset
from genomic_ulmfit.report.baselines import MarkovChain, fit_kmer_logreg, fit_kmer_nb, kmer_counts, markov_bits_per_base
from genomic_ulmfit.report.metrics import BitsPerBase, binary_metrics, bits_per_base, classification_metrics, expected_calibration_error, reliability
from genomic_ulmfit.report.figures import plot_confusion, plot_curves, plot_reliability, plot_scores
from genomic_ulmfit.model.model import GenomeModel, load_model
from genomic_ulmfit.model.folder import pretrained_models
from genomic_ulmfit.train.learner import GenomeLearner, genome_classifier_learner, genome_lm_learner
from genomic_ulmfit.taxa.calibration import Calibration
from genomic_ulmfit.taxa.sample import Sample
from genomic_ulmfit.taxa.model import TaxonModel, rank_figures
from genomic_ulmfit.taxa.calibrate import calibrate
from genomic_ulmfit.taxa.formats import classify_files
from genomic_ulmfit.taxa.screen import compare, screen_sample
from genomic_ulmfit.taxa.confusion import fit_confusion
from genomic_ulmfit.taxa.agents import read_agents
from genomic_ulmfit.taxa.page import write_screen
from genomic_ulmfit.taxa.words import WordTable, build_words
from genomic_ulmfit.taxa.taxonomy import Taxonomy, read_taxonomy, taxonomy_from_gtdb, taxonomy_from_ncbi, taxonomy_from_table
from genomic_ulmfit.demo import run_demo

__all__ = ['EarlyStoppingCallback', 'set_seed', 'fit_kmer_logreg', 'fit_kmer_nb', 'kmer_counts', 'markov_bits_per_base', 'MarkovChain', 'SAMPLE', 'GenomeCorpus', 'read_table', 'BatchLoader', 'CorpusReads', 'GenomeLMDataLoaders', 'LabelledReads', 'LMWindows', 'ReadDataLoaders', 'SequenceBlock', 'Spans', 'run_demo', 'KmerTokenizer', 'GenomeLearner', 'GenomeModel', 'genome_classifier_learner', 'genome_lm_learner', 'load_model', 'pretrained_models', 'BitsPerBase', 'binary_metrics', 'bits_per_base', 'classification_metrics', 'expected_calibration_error', 'reliability', 'PRESETS', 'Preset', 'plot_confusion', 'plot_curves', 'plot_reliability', 'plot_scores', 'Calibration', 'Sample', 'TaxonModel', 'calibrate', 'classify_files', 'rank_figures', 'compare', 'fit_confusion', 'read_agents', 'screen_sample', 'write_screen', 'WordTable', 'build_words', 'Taxonomy', 'read_taxonomy', 'taxonomy_from_gtdb', 'taxonomy_from_ncbi', 'taxonomy_from_table', 'InputError', 'SequenceRecord', 'decode_bases', 'encode_bases', 'read_sequences', 'reverse_complement']
