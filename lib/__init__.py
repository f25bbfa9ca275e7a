"""The experiments of *When BERT Plays the Lottery*, in eight rooms; imports point downwards only.

analysis    what the masks say, over seeds, tasks and attention maps
paper       what the paper says: its numbers, statements, tables and masks
tickets     the experiment: fine-tuned models, subnetworks, retraining
pruning     the method: masks, gates, importance, the search
model, data, show    the classifier and its training; GLUE and encoders; figures
artefacts   where results live and what is known about them
"""
