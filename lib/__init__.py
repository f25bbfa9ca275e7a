"""The experiments of *When BERT Plays the Lottery*: masks, gates, importance, pruning, and what they need."""
