using System.Net.Sockets;
using ClusterNet.Cluster.Lanes;
using Microsoft.Win32.SafeHandles;

namespace ClusterNet.Cluster.Tests.Lanes;

/// <summary>Memory passes from one side of a Unix socket to the other, and only memory that nobody can cut short.</summary>
public sealed class SealedMemoryTests : IDisposable
{
    private const int Bytes = 8192;

    private readonly Socket _giver = LocalSocket.Make();
    private readonly Socket _taker;

    public SealedMemoryTests()
    {
        var (listening, name) = LocalSocket.Listen(1);
        using (listening)
        {
            _giver.Connect(LocalSocket.At(name));
            _taker = listening.Accept();
        }
    }

    public void Dispose()
    {
        _giver.Dispose();
        _taker.Dispose();
    }

    [Fact]
    public void What_one_side_writes_the_other_one_reads()
    {
        using var given = SealedMemory.Create(Bytes);
        SealedMemory.Send(_giver, given);
        using var taken = SealedMemory.Receive(_taker, Bytes);
        Assert.NotEqual(given.DangerousGetHandle(), taken.DangerousGetHandle());
        RandomAccess.Write(given, [1, 2, 3], Bytes - 3);
        var read = new byte[3];
        Assert.Equal(3, RandomAccess.Read(taken, read, Bytes - 3));
        Assert.Equal([1, 2, 3], read);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(Bytes - 1)]
    [InlineData(2 * Bytes)]
    public void Nobody_changes_its_length(long length)
    {
        using var memory = SealedMemory.Create(Bytes);
        Assert.ThrowsAny<SystemException>(() => RandomAccess.SetLength(memory, length));
        Assert.Equal(Bytes, RandomAccess.GetLength(memory));
    }

    [Fact]
    public void Memory_of_another_length_is_refused()
    {
        using var memory = SealedMemory.Create(2 * Bytes);
        SealedMemory.Send(_giver, memory);
        Assert.Throws<LaneViolationException>(() => SealedMemory.Receive(_taker, Bytes));
    }

    /// <summary>A file's owner may cut it short while it is mapped.</summary>
    [Fact]
    public void A_file_is_refused()
    {
        var path = Path.GetTempFileName();
        using (SafeFileHandle file = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite, FileShare.None, FileOptions.DeleteOnClose))
        {
            RandomAccess.SetLength(file, Bytes);
            SealedMemory.Send(_giver, file);
            Assert.Throws<LaneViolationException>(() => SealedMemory.Receive(_taker, Bytes));
        }
    }

    [Fact]
    public void A_byte_without_memory_is_refused()
    {
        _giver.Send([0]);
        Assert.Throws<LaneViolationException>(() => SealedMemory.Receive(_taker, Bytes));
    }

    [Fact]
    public void Who_leaves_instead_is_noticed()
    {
        _giver.Dispose();
        Assert.Throws<EndOfStreamException>(() => SealedMemory.Receive(_taker, Bytes));
    }

    [Fact]
    public void Who_is_gone_gets_nothing()
    {
        _taker.Dispose();
        using var memory = SealedMemory.Create(Bytes);
        Assert.Throws<IOException>(() => SealedMemory.Send(_giver, memory));
    }
}
