package twofactor

// Kind is what somebody can be asked for to show who they are.
type Kind string
