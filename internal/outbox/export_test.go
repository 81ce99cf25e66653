package outbox

// Claim is the statement that looks for what is due.
const Claim = claim
