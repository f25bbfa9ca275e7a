"""Tickets: the paper's experiment, from a fine-tuned model to retrained subnetworks (§4).

finetuned    a fine-tuned model with its dev set, as notebook 01 stored it
frozen       the pre-trained encoder as it is, as a baseline
subnetworks  draw the random, bad and super subnetworks that the good one is compared with
retrain      train subnetworks, random encoders and baselines under the same conditions
more_rows    train stored subnetworks again on more rows than they had
"""
