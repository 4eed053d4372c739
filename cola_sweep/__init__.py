"""Fine-tune text encoders on CoLA under W&B Sweeps."""

__version__ = "0.1.0"
