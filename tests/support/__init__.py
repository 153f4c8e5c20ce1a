"""What tests share: servers, processes, one HTTP client, events and deliveries, one bench of workers."""
