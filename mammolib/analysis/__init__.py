"""What records say together: the leak, stability, curves, retraining, classifiers; and what a network costs to run."""
