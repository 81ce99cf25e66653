// Package handler is the directive mana_api: it puts the JSON API and the hosted
// pages on a site.
package handler
