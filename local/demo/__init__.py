"""The demonstration: traffic in at the hub, the function app in between, a check of what came out."""
