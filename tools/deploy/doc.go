// Package deploy holds the files of deploy/ against the tools that read them:
// compose's loader, the types of Kubernetes, BuildKit's parser. It builds the
// image of the edge without a daemon, unpacks it and starts what is in it. A
// module of its own, so that those tools stay out of the product's go.mod.
package deploy
