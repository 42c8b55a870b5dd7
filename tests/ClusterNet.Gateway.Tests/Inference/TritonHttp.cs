using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace ClusterNet.Gateway.Tests.Inference;

/// <summary>What NVIDIA's Python client puts on the wire by HTTP, and reads from it.</summary>
internal static class TritonHttp
{
    public static byte[] Bytes<T>(params T[] values)
        where T : unmanaged => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();

    public static byte[] Texts(params string[] texts)
    {
        var bytes = new List<byte>();
        foreach (var text in texts)
        {
            var length = new byte[4];
            BinaryPrimitives.WriteUInt32LittleEndian(length, (uint)Encoding.UTF8.GetByteCount(text));
            bytes.AddRange([.. length, .. Encoding.UTF8.GetBytes(text)]);
        }
        return [.. bytes];
    }

    /// <summary>As geventhttpclient does: no content type, names of headers as they are given.</summary>
    public static async Task<(int Status, Dictionary<string, string> Headers, byte[] Body)> SendAsync(Uri server, string path, string json, byte[] binary)
    {
        var body = Encoding.UTF8.GetBytes(json);
        var header = binary.Length == 0 ? "" : $"Inference-Header-Content-Length: {body.Length}\r\n";
        var head = $"POST {path} HTTP/1.1\r\nUser-Agent: Python/3.11.2 geventhttpclient/2.0.9\r\nHost: {server.Authority}\r\nConnection: close\r\nContent-Length: {body.Length + binary.Length}\r\n{header}\r\n";
        using var client = new TcpClient();
        await client.ConnectAsync(server.Host, server.Port);
        await using var stream = client.GetStream();
        await stream.WriteAsync((byte[])[.. Encoding.ASCII.GetBytes(head), .. body, .. binary]);
        using var answer = new MemoryStream();
        await stream.CopyToAsync(answer);
        var bytes = answer.ToArray();
        var end = bytes.AsSpan().IndexOf("\r\n\r\n"u8);
        var lines = Encoding.ASCII.GetString(bytes, 0, end).Split("\r\n");
        var headers = lines.Skip(1).Select(line => line.Split(": ", 2)).ToDictionary(parts => parts[0].ToLowerInvariant(), parts => parts[1]);
        var content = bytes[(end + 4)..];
        return (int.Parse(lines[0].Split(' ')[1], CultureInfo.InvariantCulture), headers, headers.TryGetValue("content-length", out var length) ? content[..int.Parse(length, CultureInfo.InvariantCulture)] : Unchunked(content));
    }

    private static byte[] Unchunked(ReadOnlySpan<byte> chunks)
    {
        var body = new List<byte>();
        while (true)
        {
            var line = chunks.IndexOf("\r\n"u8);
            var length = int.Parse(Encoding.ASCII.GetString(chunks[..line]), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            if (length == 0)
                return [.. body];
            body.AddRange(chunks.Slice(line + 2, length));
            chunks = chunks[(line + 4 + length)..];
        }
    }
}
