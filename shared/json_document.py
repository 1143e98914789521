"""The base of the JSON documents that commands print with --json."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A document, or a part of one; docstrings of properties become descriptions of its schema."""

    model_config = ConfigDict(
        frozen=True, use_attribute_docstrings=True, json_schema_serialization_defaults_required=True
    )


class Document(Part):
    """The document that a command prints with --json."""

    version: Literal[1] = 1
    """Version of this document. Later releases with the same version only add properties."""
