# Shortcuts for developers. Nothing here is needed to run Sallyport: see `python3 manage.py help`.
.DEFAULT_GOAL := help
.PHONY: help up test check mutants fmt bench bench-reads bench-streams bench-peers cost fairness faults pins

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## Run everything until Ctrl-C (PORT, SALLYPORT_HOME, WORKERS)
	@python3 manage.py up

test: ## Run all tests; ARGS="-k word" goes to pytest
	@python3 manage.py test $(ARGS)

check: ## Lint, format, types, import rules, migrations, OpenAPI schema
	@bash .ci/check

mutants: ## Take each guard of the engine away once and see that a test turns red
	@SALLYPORT_MUTANTS=all python3 manage.py test tests/faults/test_mutants.py -q $(ARGS)

fmt: ## Format the code and mend what ruff can
	@$$(python3 config/bootstrap.py tests | tail -n 1) -m ruff check --fix . ; \
	$$(python3 config/bootstrap.py tests | tail -n 1) -m ruff format .

bench: ## Measure durable steps beside bare Celery: ONLY=W1,W4 JSON=FILE; ARGS go to the benchmark
	@ONLY="$(ONLY)" JSON="$(JSON)" python3 manage.py bench $(ARGS)

bench-reads: ## Measure lists and reads with 10,000 and 1,000,000 executions, and requests a second (HISTORY=10000,100000)
	@python3 manage.py bench --only W5,W6 --history "$(or $(HISTORY),10000,1000000)" --json "$(JSON)" $(ARGS)

bench-streams: ## Measure how late 500 websockets and 500 streams of server-sent events hear (CLIENTS=100)
	@python3 manage.py bench --only W8 --clients "$(or $(CLIENTS),500)" --json "$(JSON)" $(ARGS)

bench-peers: ## Measure steps beside DBOS, Temporal, Prefect, Procrastinate, Dramatiq (PEERS=dbos,prefect JSON=FILE)
	@python3 manage.py bench --peers "$(or $(PEERS),all)" --json "$(JSON)" $(ARGS)

cost: ## Count what a step costs PostgreSQL, with more workers, streams and history (PARTS=step,workers JSON=FILE)
	@python3 manage.py bench --cost "$(or $(PARTS),all)" --json "$(JSON)" $(ARGS)

fairness: ## Measure how long a tenant with little work waits beside one with much
	@python3 manage.py bench --only W4 $(ARGS)

faults: ## Attack a deployment of its own and write docs/reliability.md (ONLY=F01,F05 RUNS=100 JSON=FILE FRESH=1)
	@SALLYPORT_NO_BOOTSTRAP=1 ONLY="$(ONLY)" RUNS="$(RUNS)" JSON="$(JSON)" FRESH="$(FRESH)" LEASE="$(LEASE)" SEED="$(SEED)" \
	$$(python3 config/bootstrap.py tests | tail -n 1) -m tests.faults.runner

pins: ## Compile requirements.in and tests/requirements.in to hashed pins (needs uv)
	@uv pip compile --quiet requirements.in --universal --python-version 3.11 --generate-hashes --no-header -o requirements.txt
	@uv pip compile --quiet tests/requirements.in --universal --python-version 3.11 --generate-hashes --no-header -o tests/requirements.txt
	@uv pip compile --quiet tests/connectors/dbt/requirements.in --universal --python-version 3.11 --generate-hashes --no-header -o tests/connectors/dbt/requirements.txt
