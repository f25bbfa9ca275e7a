"""What the masks say: which units survive, how stable that is, and what the survivors attend to.

survival    in how many seeds and tasks a unit survives
agreement   how well the masks of one task's seeds agree
order       how sure the order of the units is, over examples and over seeds
estimation  what the estimators of importance predict and are good for, on one model
over_seeds  the same over the seeds of a task
comparisons the comparisons of estimators that were decided on before they were run
overlap     which units two tasks share, and whether tasks form groups
attention   attention maps of a model, raw and weighted
patterns    a classifier of attention maps, and the labelled maps in labelled/ that test it
drawn_maps  synthetic attention maps that train the classifier
measures    what the paper's claims are about, in one long table
claims      forty claims of the paper, judged by its authors' masks and by a run
news        what the paper does not ask
few_rows    are few training rows the reason why bad subnetworks learn little?
"""
