"""The tool around a Copier template: where a service stands, and how it takes the template's next release."""
