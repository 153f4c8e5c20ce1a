"""What operators observe: status of the store, metrics, alerts, traces. Nothing here changes an event or a delivery."""
