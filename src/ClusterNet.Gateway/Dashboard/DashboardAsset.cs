using System.IO.Compression;
using System.Security.Cryptography;

namespace ClusterNet.Gateway.Dashboard;

/// <summary>A file of the dashboard, out of this assembly.</summary>
internal sealed class DashboardAsset
{
    private const string Prefix = "dashboard/";
    private readonly Lazy<byte[]> _zipped;

    private DashboardAsset(string name, byte[] bytes)
    {
        Name = name;
        Bytes = bytes;
        Tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(bytes))[..32]}\"";
        ContentType = Path.GetExtension(name) switch
        {
            ".html" => "text/html; charset=utf-8",
            ".css" => "text/css; charset=utf-8",
            ".js" => "text/javascript; charset=utf-8",
            ".svg" => "image/svg+xml",
            var other => throw new InvalidOperationException($"no content type for '{other}'"),
        };
        _zipped = new Lazy<byte[]>(() => Zip(bytes));
    }

    /// <summary>Its name in the address.</summary>
    public string Name { get; }

    /// <summary>What is in it.</summary>
    public byte[] Bytes { get; }

    /// <summary>The same, by gzip.</summary>
    public byte[] Zipped => _zipped.Value;

    /// <summary>Changes with its bytes.</summary>
    public string Tag { get; }

    /// <summary>MIME type.</summary>
    public string ContentType { get; }

    /// <summary>All of them, by name.</summary>
    public static IReadOnlyDictionary<string, DashboardAsset> All()
    {
        var assembly = typeof(DashboardAsset).Assembly;
        return assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)).ToDictionary(name => name[Prefix.Length..], name =>
        {
            using var stream = assembly.GetManifestResourceStream(name)!;
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return new DashboardAsset(name[Prefix.Length..], bytes);
        });
    }

    private static byte[] Zip(byte[] bytes)
    {
        using var to = new MemoryStream();
        using (var zip = new GZipStream(to, CompressionLevel.Optimal))
            zip.Write(bytes);
        return to.ToArray();
    }
}
