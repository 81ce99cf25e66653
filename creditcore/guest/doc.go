// Package guest counts the free credits of guests: what a device, an address and all
// guests together have spent on a day of UTC, and gives what is left of a wallet to the
// account that its guest makes, once.
//
// # No ledger
//
// No money is in it: what nobody has bought, nobody can be owed. The counters are rows of
// credits.guest_days that are gone after two days, and their commits do not wait for the
// disk. All edges share them, so what two edges take at once is what there is, and no
// more.
//
// # A wallet
//
// A wallet is the day's allowance of a device, which is known by a signed cookie. A
// device is cheap: whoever drops the cookie has another one. So the same credits count
// for the address, and where the admin says so for all guests; what is short of any of
// them is refused, with a [SpentError]. The tables hold HMACs of devices and addresses,
// by keys of a secret in credits.secrets.
//
// # An account
//
// In the transaction that makes an account, what is left of the wallet is taken from all
// three counters and promised to it ([Service.PromiseTx]); once the address is proven it
// is given, as promotional credits that expire. A wallet is promised once, and a person,
// who is the one of coupons, is given once. A sign-up for an address that has an account
// spends the wallet too ([Service.VoidTx]): what is left of it must not tell who has an
// account.
package guest
