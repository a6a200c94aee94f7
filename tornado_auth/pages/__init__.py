"""The pages that people see: templates, the stylesheet and the handlers that fill them."""
