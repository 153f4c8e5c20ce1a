"""Which conditions operators are alerted of, who is told, and when. What the conditions are found in, the status of
the store and the metrics, is in the folder above."""
