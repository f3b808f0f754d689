/** Python that tries TCP and HTTP on each [host, port] of the JSON it reads, and prints the results; "answers": a byte came back. */
export const TRY_NETWORK = `
import json, socket, sys
said = {}
for host, port in json.load(sys.stdin):
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.settimeout(2)
            connection.sendall(b'GET /healthz HTTP/1.0\\r\\n\\r\\n')
            said[f'{host}:{port}'] = 'answers' if connection.recv(1) else 'cut'
    except OSError:
        said[f'{host}:{port}'] = 'closed'
print(json.dumps(said))
`;
