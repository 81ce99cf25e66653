export const metadata = { title: "Mana", icons: "data:," };

export default function Layout({ children }) {
	return (
		<html lang="en">
			<body>{children}</body>
		</html>
	);
}
