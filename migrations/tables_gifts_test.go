package migrations_test

// giftTables is every table of 0008_gifts.sql.
var giftTables = []table{}
