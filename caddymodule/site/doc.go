// Package site is what every directive does with a request before and after its
// own work: refuse what must not reach an app, strip what a client or an app may
// not say, and answer in place of an app that gives no answer.
package site
