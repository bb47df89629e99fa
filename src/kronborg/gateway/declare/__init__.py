"""Configuration as data: `kronborg.yaml` read, compared with the store, applied as one change, and written back.

    text → yaml_tree → document (pydantic) → references → plan (diff) → apply (one transaction, one snapshot)
                                                         ↑
    export ← current objects in the file's vocabulary ← store

Which objects a file manages, and why it never deletes others: docs/adr/0021-configuration-as-data.md.
"""
