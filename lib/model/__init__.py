"""Model: an encoder with a classifier, and how it is trained and scored.

classifier  an encoder with a linear classifier on top
recipes     how each encoder is fine-tuned: pooling, learning rates, epochs, …
choices     the decorator that makes settings strict
batches     tokenised sentences, and the batches they are read in
train       fine-tune and score, with a plain loop
vocabulary  train with only the word embeddings that occur
device      the device that models run on, and their precision there
baselines   models without a Transformer: CBOW and BiLSTM
"""
