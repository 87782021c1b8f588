"""Plays a folder of playbooks and expected results through the real stack, and judges what came out.

A folder holds any number of `*.json` playbooks, and beside or below them `*.trace.json`, `import.json`,
`conditions.json` and `vectors.json`; every other `.json` file is a playbook. Paths inside a trace or an
`import.json` are relative to that file.
"""
