# Yours: the settings that this service adds to those of config.py. After a change: make settings.
"""The service's own settings."""

from pydantic_settings import BaseSettings


class ProjectSettings(BaseSettings):
    """Each is a field with a type and a description, read from the environment variable of its name.

    One without a default is required, and a secret in every environment that is deployed; development and the tests
    use its first example:

        stripe_key: SecretStr = Field(description="The key of Stripe's API.", examples=["sk_test_1"])

    In a request it is ``current_app.config["STRIPE_KEY"]``.
    """
