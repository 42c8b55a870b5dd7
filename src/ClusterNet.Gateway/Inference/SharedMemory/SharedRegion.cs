namespace ClusterNet.Gateway.Inference.SharedMemory;

/// <summary>System shared memory that a caller registered.</summary>
/// <param name="Name">what requests call it</param>
/// <param name="Key">what the operating system calls the memory object</param>
/// <param name="Offset">bytes from the object's start</param>
/// <param name="ByteSize">bytes</param>
internal sealed record SharedRegion(string Name, string Key, ulong Offset, ulong ByteSize);
