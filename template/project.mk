# Yours: make targets. `CHECKS += name` has `make check` and CI run one after the template's checks.
