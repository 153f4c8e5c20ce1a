"""Decides which conditions cause alerts, to whom they are sent, and when. The conditions are found in the status of the
store and the metrics, which are in the folder above."""
