"""Maps each module of `shared/` to its test file: at the same place in `tests/`, or an exception below."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    str(path.relative_to(ROOT).with_suffix("")): path.with_name(f"test_{path.name}").relative_to(ROOT)
    for path in sorted((ROOT / "shared").rglob("*.py"))
    if path.name != "__init__.py"
}
"""The path of each module without its suffix, and that of its test file in `tests/`."""
DECLARATIONS = {
    "shared": "clock errors json_document lag policies timeunits",
    "shared/backfill": "documents outcome",
    "shared/capture": "allowlist",
    "shared/convert": "outcome",
    "shared/input": "envelope",
    "shared/output": "lineage",
    "shared/protocol": "archive checkpoints commit_plan documents stamp storage",
    "shared/tables": "connection_revisions engine_types gateway_llm_log gateway_logs table "
    "websocket_connection_logs",
}
"""They declare data and types, and decide nothing."""
TESTED_IN = {
    "tests/contracts/test_checkpoints.py": "shared/azure/checkpoints",
    "tests/contracts/test_storage.py": "shared/azure/blob_storage",
    "tests/infra/test_cost.py": "shared/commands/cost",
    "tests/shared/audit/test_tampering.py": "shared/audit/listing",
    "tests/shared/backfill/test_backfill.py": "shared/protocol/nested_storage",
    "tests/shared/capture/test_capture.py": "shared/commands/capture",
    "tests/shared/commands/test_backfill.py": "shared/azure/archive",
    "tests/shared/commands/test_erase.py": "shared/erasure/remains",
    "tests/shared/commands/test_main.py": "shared/__main__",
    "tests/shared/compaction/test_compactor.py": "shared/compaction/rewriting",
    "tests/shared/compaction/test_delta_tables.py": "shared/audit/delta_logs "
    "shared/delta/actions shared/delta/snapshot shared/delta/table_metadata",
    "tests/shared/connections/test_timer.py": "shared/connections/finish_summary",
    "tests/shared/convert/test_convert.py": "shared/commands/convert",
    "tests/shared/erasure/test_file_eraser.py": "shared/erasure/erasure shared/erasure/files "
    "shared/erasure/selection",
    "tests/shared/export/test_last_resort.py": "shared/export/isolated_child",
    "tests/shared/input/test_bodies.py": "shared/input/big_integers",
    "tests/campaigns/fuzz/test_bounds.py": "shared/input/memory_bounds",
    "tests/shared/input/test_templates.py": "shared/input/table_rows",
    "tests/shared/input/test_validation.py": "shared/input/descriptions",
    "tests/shared/commands/test_reconcile.py": "shared/reconcile/comparison shared/reconcile/container "
    "shared/reconcile/workspace_export",
    "tests/shared/settings/test_settings.py": "shared/settings/command_line",
    "tests/simulation/test_delta_schedules.py": "shared/delta/reconciliation",
    "tests/shared/commands/test_documents.py": "shared/commands/status_document shared/commands/status_json",
    "tests/test_docs_schema.py": "shared/tables/dialects",
}
"""Test files that test several modules together, because the modules make sense only together."""
EXCEPTIONS = [
    *(f"{folder}/{name}" for folder, names in DECLARATIONS.items() for name in names.split()),
    *(module for modules in TESTED_IN.values() for module in modules.split()),
]
