"""SOARCA's API: manual steps [seed], stored CACAO playbooks, triggers, reports, status.

The manual chapter follows SOARCA's own description of its manual API; the other chapters serve its clients (its GUI,
CACAO Roaster's trigger button, the Wazuh integration), which work unmodified. Where both are silent we decided:
an unknown execution is 404 and an unknown playbook 400; a report of a running execution is 200; an approval of any
playbook is listed under /manual too. Fins speak HTTP (``views/fins.py``) or MQTT (``mqtt/``).
"""
