// Command site makes of the Markdown of this repository a site that needs no
// server: pages with a menu, and a search over their sections that runs in the
// browser.
//
//	go run . -root ../.. -out /tmp/docs
//
// It ends with an error where a page is missing from the menu, or a link leads to
// a page, a heading or a file that is not there.
package main
