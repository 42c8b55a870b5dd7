using ClusterNet.Gateway.Inference.SharedMemory;

namespace ClusterNet.Gateway.Tests.Inference;

/// <summary>A POSIX shared memory object, made as a client makes it; gone with the test.</summary>
internal sealed class MemoryObject : IDisposable
{
    private readonly FileStream _stream;

    public MemoryObject(int length, string? name = null)
    {
        Key = "/" + (name ?? $"clusternet-test-{Guid.NewGuid():N}");
        _stream = new FileStream(Path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite);
        _stream.SetLength(length);
    }

    public string Key { get; }

    public string Path => "/dev/shm" + Key;

    /// <summary>Regions that a caller may use, with one, <c>r</c>, that nothing else can reach.</summary>
    public static SharedRegions Regions(int length)
    {
        var regions = new SharedRegions(true);
        using var made = new MemoryObject(length);
        regions.Register("r", made.Key, 0, (ulong)length);
        return regions;
    }

    public byte[] Read(int offset, int length) => File.ReadAllBytes(Path).AsSpan(offset, length).ToArray();

    public void Write(int offset, ReadOnlySpan<byte> bytes) => RandomAccess.Write(_stream.SafeFileHandle, bytes, offset);

    public void SetLength(int length) => RandomAccess.SetLength(_stream.SafeFileHandle, length);

    public void Dispose()
    {
        _stream.Dispose();
        File.Delete(Path);
    }
}
