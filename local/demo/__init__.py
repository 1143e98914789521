"""The demo: sends traffic to the hub, runs the function app, and checks the output."""
