// Package invoice stores the invoices of subscriptions and grants the credits
// they paid for.
//
// A line of a paid invoice is spread over the months of its period. Each month is
// a credit period: granted when it begins, cut by a change of plan, taken back
// with a refund. [Service.SettlePeriods] computes what every credit period of a
// user is due from our rows alone, so that it may run at any time and any number
// of times.
package invoice
