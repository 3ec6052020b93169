module cmek-pkcs11/tests/bindings/fault

go 1.21

require cmek.internal/cmek v0.1.0

replace cmek.internal/cmek => ../../../../bindings/go
