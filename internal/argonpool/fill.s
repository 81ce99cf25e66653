// Go takes a function without a body only in a package with assembly.
