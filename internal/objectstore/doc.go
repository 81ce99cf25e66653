// Package objectstore keeps small pictures that everybody may see, such as
// avatars: on the own disk ([Disk]), or at an S3 service ([S3]).
//
// Objects are public and never change. A key belongs to one content for good
// (it carries a time or something random), so that browsers and caches may keep
// what they have for a year.
//
// What lies on a public host could be made to attack who visits it. Therefore
// only pictures are taken, with the content type of their extension, and keys
// are made of plain segments. Nothing here looks into a picture: give it what
// was encoded anew.
package objectstore
