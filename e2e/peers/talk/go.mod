module pyroscope-operator.test/e2e/peers/talk

go 1.26
