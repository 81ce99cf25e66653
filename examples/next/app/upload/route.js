// #region upload
export async function POST(request) {
	let bytes = 0;
	for await (const chunk of request.body) bytes += chunk.length; // as it comes: nothing is kept
	return Response.json({ bytes });
}
// #endregion
