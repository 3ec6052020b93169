module cmek.internal/cmek

go 1.21
