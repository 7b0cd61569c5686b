"""The processes of one job: how they find each other, exchange sums, notice one that hangs, and end in order."""
