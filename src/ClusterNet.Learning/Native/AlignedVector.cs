using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Native;

/// <summary>
/// Values that managed code and tensors share, at an address that is a multiple of <see cref="Alignment"/>. MKL sums a product of fewer than four rows in an order that depends on where
/// its factors lie: arrays of the managed heap, aligned to 8 bytes, made the last small batch of an epoch come out in two ways.
/// </summary>
/// <typeparam name="T">float or long</typeparam>
internal sealed unsafe class AlignedVector<T> : IDisposable
    where T : unmanaged
{
    /// <summary>Bytes; as libtorch aligns its own tensors.</summary>
    public const int Alignment = 64;

    private readonly void* _address;
    private readonly int _length;
    private bool _disposed;

    /// <param name="length">elements; their values are undefined</param>
    public AlignedVector(int length)
    {
        Tensor = empty(length, typeof(T) == typeof(float) ? float32 : int64).DetachFromDisposeScope();
        _length = length;
        _address = length == 0 ? null : System.Runtime.CompilerServices.Unsafe.AsPointer(ref MemoryMarshal.GetReference(Tensor.bytes));
        if ((nuint)_address % Alignment != 0)
            throw new InvalidOperationException($"libtorch gave memory at {(nuint)_address:x}, which is no multiple of {Alignment}: results could not be repeated");
    }

    /// <summary>All of it, one axis.</summary>
    public Tensor Tensor { get; }

    /// <summary>All of it.</summary>
    public Span<T> Span
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return new Span<T>(_address, _length);
        }
    }

    /// <summary>Frees the memory once no tensor lies over it any more.</summary>
    public void Dispose()
    {
        _disposed = true;
        Tensor.Dispose();
    }
}
