"""What operators observe: the status of the store, metrics, traces, and in `alerts` the alerts. A metric of the store
or of the workers is named in `prometheus_exposition`, one of the receiver in `receiver_metrics`. Nothing here changes
an event."""
