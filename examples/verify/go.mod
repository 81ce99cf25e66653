module verify

go 1.26
