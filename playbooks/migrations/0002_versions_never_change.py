"""A stored version never changes: the database refuses an UPDATE of its content (EXECUTION-SEMANTICS 3)."""

from django.db import migrations

FORWARDS = """
CREATE FUNCTION playbooks_version_never_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The content of playbook version % never changes.', OLD.id USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER playbook_version_never_changes
BEFORE UPDATE ON playbooks_playbookversion
FOR EACH ROW
WHEN (
    (OLD.id, OLD.playbook_id, OLD.tenant_id, OLD.number, OLD.label, OLD.dialect, OLD.document, OLD.is_sealed,
     OLD.secret_pointers, OLD.jcs_digest, OLD.workflow, OLD.engine_version, OLD.findings, OLD.is_strict,
     OLD.modified_at, OLD.valid_from, OLD.valid_until, OLD.created_at, OLD.created_by)
    IS DISTINCT FROM
    (NEW.id, NEW.playbook_id, NEW.tenant_id, NEW.number, NEW.label, NEW.dialect, NEW.document, NEW.is_sealed,
     NEW.secret_pointers, NEW.jcs_digest, NEW.workflow, NEW.engine_version, NEW.findings, NEW.is_strict,
     NEW.modified_at, NEW.valid_from, NEW.valid_until, NEW.created_at, NEW.created_by)
)
EXECUTE FUNCTION playbooks_version_never_changes();
"""

BACKWARDS = """
DROP TRIGGER playbook_version_never_changes ON playbooks_playbookversion;
DROP FUNCTION playbooks_version_never_changes();
"""


class Migration(migrations.Migration):
    dependencies = [("playbooks", "0001_initial")]
    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
